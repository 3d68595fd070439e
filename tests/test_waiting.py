"""Long waits say what they wait for, again and again, and short ones say nothing."""

import asyncio
import threading

from filelock import FileLock

from tasks.waiting import Waits, wait_for


def test_a_long_wait_is_said_and_said_again_for_all_who_wait_together(caplog):
    async def wait(waits: Waits, seconds: float) -> None:
        with waits.said(lambda: "a bus"):
            await asyncio.sleep(seconds)

    async def several() -> None:
        waits = Waits(first=0.1, again=0.4)
        await asyncio.gather(*(wait(waits, 0.75) for _ in range(5)), wait(waits, 0.01))

    asyncio.run(several())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2 and all(message.startswith("waiting for a bus, ") for message in said)


def test_what_is_not_worth_saying_is_not_said(caplog):
    async def wait() -> None:
        with Waits(first=0.01, again=0.01).said(lambda: ""):
            await asyncio.sleep(0.1)

    asyncio.run(wait())
    assert not caplog.records


def test_a_lock_of_another_is_waited_for_and_said(tmp_path, caplog):
    held, release = FileLock(tmp_path / "x.lock"), threading.Event()

    def hold() -> None:
        with held:
            taken.set()
            release.wait(10)

    taken = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(10)
    threading.Timer(0.5, release.set).start()
    lock = FileLock(tmp_path / "x.lock", thread_local=False)
    wait_for(lock, "the other run", first=0.1, again=0.1)
    assert lock.is_locked
    lock.release()
    holder.join()
    assert "waiting for the other run, 0 s so far; end that run to continue" in caplog.text
