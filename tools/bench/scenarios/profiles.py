"""200 charging profiles of 100 periods installed, composite schedules"""

from tools.bench.profiles import main

main()
