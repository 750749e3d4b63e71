"""What a central system orders of a station with FeatureSet `full`, at random, with power cuts in
between. What was answered is so then; what was not answered is so, or all is as before."""

import asyncio
from typing import NamedTuple

from host_tests.behaviours.test_full_core import entry

IDS = 300  # fewer than the list has room for
# Steps of the test's loop, within which a list of 200 idTags is received and answered: by a
# station in the same process, and in one of its own.
MOST_STEPS = {True: 250, False: 5000}
STATUSES = ("Accepted", "Blocked", "Expired", "Invalid")


class State(NamedTuple):
    """What a station keeps of it. `entries`: of the list, idTag without regard to case to what the
    console says of it; `operative`: connectors 0 and 1, as soon as no transaction runs."""

    version: int = 0
    entries: dict = {}
    operative: tuple = (True, True)


class Orders:
    """`chance`: where the dice are. `given` counts orders, `cuts` those that a power cut met
    before they were answered."""

    def __init__(self, chance):
        self.chance = chance
        self.state = State()
        self.given = 0
        self.cuts = 0

    def status(self):
        """The connector's, without a car."""
        return "Available" if self.state.operative[1] else "Unavailable"

    def _list(self):
        is_full = self.chance.random() < 0.4
        entries = {} if is_full else dict(self.state.entries)
        version = self.chance.randrange(1, 1000)
        if not is_full:
            version += self.state.version
        sent = []
        for n in self.chance.sample(range(IDS), self.chance.randrange(201)):
            id_tag = self.chance.choice(("Id-%04d", "ID-%04d")) % n
            status = self.chance.choice(STATUSES)
            if is_full or self.chance.random() < 0.7:
                sent.append(entry(id_tag, status))
                entries[id_tag.lower()] = f"{id_tag} {status}"
            else:
                sent.append({"idTag": id_tag})
                entries.pop(id_tag.lower(), None)
        words = {
            "list_version": version,
            "update_type": "Full" if is_full else "Differential",
            "local_authorization_list": sent,
        }
        after = self.state._replace(version=version if entries else 0, entries=entries)
        return "SendLocalList", words, after, ("Accepted",)

    def _clear_cache(self):
        return "ClearCache", {}, self.state, ("Accepted",)

    def _availability(self):
        connector_id = self.chance.randrange(2)
        wanted = self.chance.random() < 0.5
        words = {"connector_id": connector_id, "type": "Operative" if wanted else "Inoperative"}
        station, connector = self.state.operative
        if connector_id and wanted and not station:
            return "ChangeAvailability", words, self.state, ("Rejected",)
        after = (station if connector_id else wanted, wanted)
        after = self.state._replace(operative=after)
        return "ChangeAvailability", words, after, ("Accepted", "Scheduled")

    async def give(self, rig, point, cut: bool):
        """An order; with `cut` the power fails somewhere on the way, and the station starts again.
        Returns the central system's side of it then."""
        make = self.chance.choice((self._list, self._list, self._clear_cache, self._availability))
        action, words, after, answers = make()
        before = self.state
        cached = set(await rig.console("cache"))
        self.given += 1
        asking = asyncio.create_task(point.ask(action, **words))
        if cut:
            for _ in range(int(MOST_STEPS[rig.inside] ** self.chance.random())):
                await asyncio.sleep(0)
        else:
            await asyncio.wait((asking,))
        is_answered = asking.done()
        self.cuts += not is_answered
        if is_answered:
            answer = asking.result().status
            assert answer in answers, (action, answer)
        if cut:
            await rig.kill()
            asking.cancel()
            await asyncio.wait((asking,))
            await rig.start()
            point = await rig.online()
        await self.look(rig, (after,) if is_answered else (before, after))
        kept = set(await rig.console("cache"))
        assert kept <= cached, (kept, cached)
        if action == "ClearCache" and is_answered:
            assert not kept, kept
        return point

    async def look(self, rig, expected=()):
        """What the station keeps is one of these, or as it was last."""
        first, *lines = await rig.console("list")
        version = int(first.split()[1].rstrip(","))
        entries = {line.split()[0].lower(): line for line in lines}
        assert list(entries) == sorted(entries) and len(entries) == len(lines)
        operative = []
        for line in await rig.console("availability"):
            words = line.split()
            operative.append(words[words.index("after") - 1 if "after" in words else -1])
        found = State(version, entries, tuple(word == "Operative" for word in operative))
        assert found in (expected or (self.state,)), (found, expected or self.state)
        self.state = found

    async def between(self, rig, point):
        """Some orders while no transaction runs; the station is Operative at the end."""
        await self.look(rig)
        for _ in range(self.chance.randrange(1, 5)):
            point = await self.give(rig, point, self.chance.random() < 0.5)
            await rig.until(timeout=60, status=self.status())
        answer = await point.ask("ChangeAvailability", connector_id=0, type="Operative")
        assert answer.status == "Accepted"
        self.state = self.state._replace(operative=(True, True))
        return point
