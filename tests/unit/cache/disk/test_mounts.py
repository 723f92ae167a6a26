from pathlib import Path, PurePosixPath

import pytest

from runlake.cache.disk.mounts import Mount, find_mount, is_network, parse_mounts

TABLE = r"""
22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 22 0:40 / /home rw shared:2 - autofs systemd-1 rw,fd=30
31 30 0:41 /export/ann /home/ann rw,relatime shared:3 master:1 - nfs4 server:/export/ann rw,vers=4.2
32 22 0:42 / /mnt/my\040disk\134x rw - cifs //host/share rw
33 22 253:0 /srv/cache /home/ann/fast rw - ext4 /dev/vda rw
34 22 0:43 / /mnt/remote rw - fuse.sshfs me@host:/data rw
35 22 0:44 / /mnt/usb rw - fuseblk /dev/sdb1 rw
36 22 0:45 / /mnt/shadow rw - nfs server:/a rw
37 22 0:46 / /mnt/shadow rw - tmpfs tmpfs rw
38 22 0:47 / /mnt/bucket rw - fuse gcsfuse#bucket rw
a line of another form
"""


@pytest.mark.parametrize(
    ("path", "kind", "is_shared"),
    [
        ("/var/cache", "ext4", False),
        ("/home/ann/.cache", "nfs4", True),
        ("/home/anna/.cache", "autofs", False),
        ("/home/ann/fast/runlake", "ext4", False),
        (r"/mnt/my disk\x/deep/er", "cifs", True),
        ("/mnt/remote", "fuse.sshfs", True),
        ("/mnt/usb/x", "fuseblk", False),
        ("/mnt/shadow/x", "tmpfs", False),
        ("/mnt/bucket/x", "fuse", True),
    ],
)
def test_the_deepest_and_latest_mount_above_a_path_holds_it(path, kind, is_shared):
    mount = find_mount(parse_mounts(TABLE), PurePosixPath(path))
    assert mount is not None
    assert (mount.kind, mount.is_network) == (kind, is_shared)


@pytest.mark.parametrize(
    "kind",
    [
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs"),
        *("9p", "afs", "panfs", "wekafs"),
        *("fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.ceph-fuse", "fuse.new"),
    ],
)
def test_every_network_file_system_is_known(kind):
    assert Mount(PurePosixPath("/mnt"), kind).is_network


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk"])
def test_file_systems_of_this_machine_are_local(kind):
    assert not Mount(PurePosixPath("/mnt"), kind).is_network


def test_a_path_that_does_not_exist_yet_counts_as_on_its_parents_mount(monkeypatch, tmp_path):
    table = tmp_path / "mountinfo"
    table.write_text(f"1 1 0:1 / / rw - ext4 a rw\n2 1 0:2 / {tmp_path}/net rw - nfs a:/ rw\n")
    monkeypatch.setattr("runlake.cache.disk.mounts.MOUNTS", table)
    (tmp_path / "link").symlink_to(tmp_path / "net")
    assert is_network(tmp_path / "net" / "not" / "yet")
    assert is_network(tmp_path / "link" / "cache")
    assert not is_network(tmp_path / "network")


def test_without_a_table_of_mounts_every_path_is_local(monkeypatch):
    monkeypatch.setattr("runlake.cache.disk.mounts.MOUNTS", Path("/nonexistent"))
    assert not is_network(Path("/"))
