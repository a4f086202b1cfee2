package robustness

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// clear fails unless the command line failed with exactly one message, one line
// on standard error, that says all of want.
func clear(t *testing.T, got result, want ...string) {
	t.Helper()
	message := strings.TrimSpace(got.stderr)
	if got.status <= 0 {
		t.Errorf("exit status %d, want a failure", got.status)
	}
	if message == "" || strings.Contains(message, "\n") {
		t.Errorf("want one message of one line, got %q", message)
	}
	if got.stdout != "" {
		t.Errorf("standard output has %q", got.stdout)
	}
	for _, w := range want {
		if !strings.Contains(message, w) {
			t.Errorf("%q does not say %q", message, w)
		}
	}
}

func TestWrongCommandLines(t *testing.T) {
	c := newCluster(t, "server")
	dir := filepath.Dir(c.DataDir)
	text := filepath.Join(dir, "module.txt")
	if err := os.WriteFile(text, []byte("not WebAssembly"), 0o644); err != nil {
		t.Fatal(err)
	}
	data := func(verb string, args ...string) []string {
		return append([]string{verb, "--data", c.DataDir}, args...)
	}
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"listen without port":      {data("server", "--listen", "127.0.0.1"), []string{"--listen", "ADDR:PORT"}},
		"listen on a name":         {data("server", "--listen", "example:1"), []string{"--listen", "not an IP address"}},
		"listen on no port":        {data("server", "--listen", "127.0.0.1:70000"), []string{"--listen", "not a port"}},
		"foreign address":          {data("server", "--listen", "192.0.2.1:6443"), []string{"192.0.2.1:6443", "--listen"}},
		"fake nodes below zero":    {data("server", "--fake-nodes", "-1"), []string{"--fake-nodes"}},
		"fake nodes not a number":  {data("server", "--fake-nodes", "many"), []string{"fake-nodes", "many"}},
		"too many nodes":           {data("up", "--nodes", "1000"), []string{"--nodes"}},
		"unknown flag":             {data("up", "--bogus"), []string{"bogus", "--help"}},
		"an argument":              {data("server", "extra"), []string{"extra", "flags only"}},
		"unknown log level":        {data("server", "--listen", c.Listen, "--log-level", "loud"), []string{"loud"}},
		"absent scheduler module":  {data("server", "--listen", c.Listen, "--scheduler-module", filepath.Join(dir, "absent.wasm")), []string{"--scheduler-module", "absent.wasm"}},
		"scheduler module of text": {data("server", "--listen", c.Listen, "--scheduler-module", text), []string{"--scheduler-module", "module.txt"}},
		"down with an argument":    {data("down", "extra"), []string{"extra"}},
		"import of nothing":        {[]string{"image", "import", "--data", c.DataDir}, []string{"at least one archive"}},
		"why without an object":    {[]string{"why"}, []string{"pod/"}},
		"unknown command":          {[]string{"fly"}, []string{"fly", "pintle help"}},
	} {
		t.Run(name, func(t *testing.T) {
			clear(t, run(t, command(t, c, "", test.args...)), test.want...)
			noCluster(t, c.DataDir)
		})
	}
}

func TestSecondServerOnOneDirectory(t *testing.T) {
	c, kube := server(t)
	second := run(t, command(t, c, "", "server", "--data", c.DataDir, "--listen", "127.0.0.1:0"))
	clear(t, second, "already runs on "+c.DataDir, "pintle down", "another --data")
	if _, err := kube.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{}); err != nil {
		t.Errorf("the first server: %v", err)
	}
}

func TestListenPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := newCluster(t, "server")
	clear(t, run(t, command(t, c, "", "server", "--data", c.DataDir, "--listen", l.Addr().String())),
		"already listens on "+l.Addr().String(), "choose another --listen")
	noCluster(t, c.DataDir)
}

// noCluster fails when a refused start left more than the lock it took.
func noCluster(t *testing.T, data string) {
	t.Helper()
	for _, pattern := range []string{"*", "run/*"} {
		found, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			if rel, _ := filepath.Rel(data, file); rel != "run" && rel != "run/lock" {
				t.Errorf("%s is left behind", file)
			}
		}
	}
}

// Without root, containers are refused with the way out, and that way works.
func TestWithoutRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("becoming somebody else needs root")
	}
	dir, err := os.MkdirTemp("/tmp", "nobody") // t.TempDir's parents are root's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	const nobody = 65534
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	c := newCluster(t, "server")
	binary, err := os.ReadFile(c.Binary)
	if err != nil {
		t.Fatal(err)
	}
	c.Binary = filepath.Join(dir, "pintle")
	if err := os.WriteFile(c.Binary, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	asNobody := func(args ...string) *exec.Cmd {
		cmd := command(t, c, "", args...)
		cmd.Dir = dir
		cmd.Env = append(cmd.Env, "HOME="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		return cmd
	}
	data := filepath.Join(dir, "data")
	clear(t, run(t, asNobody("up", "--data", data, "--listen", c.Listen)), "needs root", "sudo", "pintle server")
	if _, err := os.Stat(data); err == nil {
		t.Error("the refused cluster's data directory was made")
	}
	if got := run(t, asNobody("server", "--data", data, "--listen", c.Listen, "--detach")); got.status != 0 {
		t.Fatalf("pintle server as nobody: %+v", got)
	}
	if got := run(t, asNobody("get", "namespaces", "--kubeconfig", filepath.Join(data, "kubeconfig"))); !strings.Contains(got.stdout, "kube-system") {
		t.Errorf("pintle get as nobody: %+v", got)
	}
	if got := run(t, asNobody("down", "--data", data)); got.status != 0 {
		t.Errorf("pintle down as nobody: %+v", got)
	}
}
