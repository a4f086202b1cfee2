package launch

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/sys/unix"
)

// configTemplate is read by containerd 1.6 and later (2.x converts version 2).
// Everything that a node agent does not use is off: it starts in half the time
// and prints nothing about devices that are not there.
var configTemplate = template.Must(template.New("config").Parse(`# Written by pintle at every start; changes are lost.
version = 2
root = {{printf "%q" .Root}}
state = {{printf "%q" .State}}
oom_score = 0
disabled_plugins = [
{{- range .Disabled}}
  {{printf "%q" .}},
{{- end}}
]

[grpc]
  address = {{printf "%q" .Socket}}

[debug]
  level = "warn"

[plugins."io.containerd.internal.v1.opt"]
  path = {{printf "%q" .Opt}}
`))

// disabledPlugins, under the names of 1.6 and of 2.x.
var disabledPlugins = []string{
	"io.containerd.grpc.v1.cri",
	"io.containerd.cri.v1.images",
	"io.containerd.cri.v1.runtime",
	"io.containerd.podsandbox.controller.v1.podsandbox",
	"io.containerd.nri.v1.nri",
	"io.containerd.internal.v1.restart",
	"io.containerd.snapshotter.v1.aufs",
	"io.containerd.snapshotter.v1.blockfile",
	"io.containerd.snapshotter.v1.btrfs",
	"io.containerd.snapshotter.v1.devmapper",
	"io.containerd.snapshotter.v1.erofs",
	"io.containerd.snapshotter.v1.zfs",
	"io.containerd.tracing.processor.v1.otlp",
}

func (l *Launcher) writeConfig() error {
	for _, dir := range []string{l.rootDir(), l.stateDir(), l.path("opt"), filepath.Dir(l.socket())} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
	}
	var buf bytes.Buffer
	err := configTemplate.Execute(&buf, map[string]any{
		"Root": l.rootDir(), "State": l.stateDir(), "Socket": l.socket(),
		"Opt": l.path("opt"), "Disabled": disabledPlugins,
	})
	if err != nil {
		return fmt.Errorf("write containerd's configuration: %w", err)
	}
	return os.WriteFile(l.path("config.toml"), buf.Bytes(), 0o600)
}

// daemonEnv drops what would tie the daemon to our service manager, and makes
// sure that it finds runc and its shim.
func daemonEnv(env []string) []string {
	const sbin = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	path := ""
	out := slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, value, _ := strings.Cut(kv, "=")
		if name == "PATH" {
			path = value + ":"
		}
		return name == "PATH" || name == "NOTIFY_SOCKET" || name == "LISTEN_FDS" || name == "LISTEN_PID"
	})
	return append(out, "PATH="+path+sbin)
}

// snapshotter tries an overlay mount on the folder's file system: it fails in
// containers whose root is itself an overlay, and on some network file systems.
func snapshotter(root string) string {
	dir, err := os.MkdirTemp(root, ".overlay-trial-")
	if err != nil {
		return "native"
	}
	defer os.RemoveAll(dir)
	at := map[string]string{}
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		at[name] = filepath.Join(dir, name)
		if os.Mkdir(at[name], 0o700) != nil {
			return "native"
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", at["lower"], at["upper"], at["work"])
	if unix.Mount("overlay", at["merged"], "overlay", 0, options) != nil {
		return "native"
	}
	_ = unix.Unmount(at["merged"], unix.MNT_DETACH)
	return "overlayfs"
}

// tail is the end of a file, for error messages.
func tail(path string, size int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(data[max(0, len(data)-size):]))
}

func join(words []string) string { return strings.Join(words, " ") }

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
