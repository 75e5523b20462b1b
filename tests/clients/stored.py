"""The store file, read without the program: by the SQLite that Python brings, which may be an old one."""

import hashlib
import sqlite3

from steps import step


@step("the journal is read from the file by any SQLite, and linked as the server said")
def journal(world):
    store = sqlite3.connect(f"file:{world.folder / 'tokenward.db'}?mode=ro", uri=True)
    link, revision = bytes(32), 0
    for revision, body, kept in store.execute("SELECT revision, body, link FROM journal ORDER BY revision"):
        link = hashlib.sha256(link + body).digest()
        assert kept == link, f"broken at {revision} (SQLite {sqlite3.sqlite_version})"
    assert (revision, link) == (world.head.revision, world.head.link), (revision, world.head)
    (tokens,) = store.execute("SELECT count(*) FROM token").fetchone()
    assert tokens > 0
    store.close()
