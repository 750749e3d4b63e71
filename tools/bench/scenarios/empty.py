"""Nothing but the interpreter and asyncio: what to subtract."""

import asyncio
import gc


async def main():
    await asyncio.sleep(0)


asyncio.run(main())
gc.collect()
print("figure: in use: %d bytes" % gc.mem_alloc())
