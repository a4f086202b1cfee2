package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Binary returns the pintle to test: $PINTLE, else bin/pintle of the checkout,
// which `task build` makes.
func Binary() (string, error) {
	if path := os.Getenv("PINTLE"); path != "" {
		return path, nil
	}
	root, err := checkout()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "pintle")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w; `go tool task build` makes it", err)
	}
	return path, nil
}

func checkout() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Kubectl returns a kubectl of at least 1.32: the machine's, or one built into
// dir from k8s.io/kubectl.
func Kubectl(ctx context.Context, dir string) (string, error) {
	if path, err := exec.LookPath("kubectl"); err == nil && recent(ctx, path) {
		return path, nil
	}
	root, err := checkout()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kubectl")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./conformance/kubectl")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build kubectl: %w\n%s", err, out)
	}
	return path, nil
}

func recent(ctx context.Context, kubectl string) bool {
	out, err := exec.CommandContext(ctx, kubectl, "version", "--client", "-o", "json").Output()
	if err != nil {
		return false
	}
	var v struct {
		ClientVersion struct{ Minor string } `json:"clientVersion"`
	}
	if json.Unmarshal(out, &v) != nil {
		return false
	}
	minor, err := strconv.Atoi(strings.TrimRight(v.ClientVersion.Minor, "+"))
	return err == nil && minor >= 32
}
