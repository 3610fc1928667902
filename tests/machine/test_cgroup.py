"""What a control group allows and counts, in version 1 and 2."""

from mic2e_bench.machine import cgroup


def group(tmp_path, monkeypatch, lines, files):
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "cgroup").write_text(lines)
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(cgroup, "PROC", tmp_path / "proc")
    monkeypatch.setattr(cgroup, "ROOT", tmp_path / "cgroup")


def test_version_2_with_a_tighter_group_around(tmp_path, monkeypatch):
    group(tmp_path, monkeypatch, "0::/outer/inner\n", {
        "outer/inner/cpu.max": "max 100000\n", "outer/cpu.max": "150000 100000\n",
        "outer/inner/memory.max": "max\n", "outer/memory.max": "8589934592\n",
        "outer/inner/cpu.stat": "usage_usec 5\nnr_throttled 2\nthrottled_usec 2500000\n",
    })  # fmt: skip
    assert (cgroup.cpus(), cgroup.memory_bytes(), cgroup.throttled_s()) == (1.5, 8 * 2**30, 2.5)


def test_version_1_in_a_container(tmp_path, monkeypatch):
    """The group's path is the host's; only its root is mounted."""
    lines = "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n"
    group(tmp_path, monkeypatch, lines, {
        "cpu,cpuacct/cpu.cfs_quota_us": "50000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/cpu.stat": "nr_periods 9\nnr_throttled 1\nthrottled_time 1000000000\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
    })  # fmt: skip
    assert (cgroup.cpus(), cgroup.memory_bytes(), cgroup.throttled_s()) == (0.5, None, 1.0)


def test_no_groups(tmp_path, monkeypatch):
    group(tmp_path, monkeypatch, "", {})
    assert (cgroup.cpus(), cgroup.memory_bytes(), cgroup.throttled_s()) == (None, None, None)
