// Package launch finds or starts the containerd that a cluster runs on.
//
// It owns one private containerd with all of its folders below the data folder,
// started in a session of its own, so that it, its shims and their containers
// outlive the process that started it. The protocol across restarts:
//
//   - Start takes the folder's lock, looks for a containerd of an earlier run
//     (pid file, start time of that process, answering socket) and keeps it;
//     else it starts one and writes the pid file before anything can use it.
//   - Stop ends every container, then containerd, then what is left of shims,
//     mounts, cgroups and sockets, found by what names our folder. It works
//     from the folder alone, whoever started it, and may be repeated.
//
// It never touches a containerd it did not start: a system's one can be used
// (Config.System) but is neither configured nor stopped.
package launch
