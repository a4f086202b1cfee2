package containerd

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/pintle-io/pintle/runtime/container"
)

// Labels are where the state of sandboxes and containers is kept.
const (
	labelKind        = "pintle.io/kind"
	labelPodUID      = "pintle.io/pod-uid"
	labelPodNS       = "pintle.io/pod-namespace"
	labelPodName     = "pintle.io/pod-name"
	labelName        = "pintle.io/name"
	labelAttempt     = "pintle.io/attempt"
	labelSandbox     = "pintle.io/sandbox"
	labelHash        = "pintle.io/hash"
	labelLogPath     = "pintle.io/log-path"
	labelImageRef    = "pintle.io/image-ref"
	labelStopSignal  = "pintle.io/stop-signal"
	labelIO          = "pintle.io/io" // tty, stdin, once
	labelUser        = "pintle.io/user"
	labelAnnotations = "pintle.io/annotations"
	labelIPs         = "pintle.io/ips"
	labelNetNS       = "pintle.io/netns"
	labelStarted     = "pintle.io/started-at"
	labelFinished    = "pintle.io/finished-at"
	labelExitCode    = "pintle.io/exit-code"
	labelEnd         = "pintle.io/end" // oom, lost
	labelStartError  = "pintle.io/start-error"

	kindSandbox   = "sandbox"
	kindContainer = "container"
)

func podLabels(kind string, pod container.PodRef, name string, attempt int) map[string]string {
	return map[string]string{
		labelKind: kind, labelPodUID: pod.UID, labelPodNS: pod.Namespace, labelPodName: pod.Name,
		labelName: name, labelAttempt: strconv.Itoa(attempt),
	}
}

func sandboxLabels(cfg container.SandboxConfig) map[string]string {
	l := podLabels(kindSandbox, cfg.Pod, container.SandboxName, cfg.Attempt)
	l[labelIPs] = strings.Join(cfg.IPs, ",")
	l[labelNetNS] = cfg.NetNSPath
	return l
}

func containerLabels(cfg container.Config) (map[string]string, error) {
	l := podLabels(kindContainer, cfg.Pod, cfg.Name, cfg.Attempt)
	l[labelSandbox] = cfg.SandboxID
	l[labelHash] = cfg.Hash
	l[labelLogPath] = cfg.LogPath
	l[labelStopSignal] = cfg.StopSignal
	l[labelIO] = ioFlags{TTY: cfg.TTY, Stdin: cfg.Stdin, Once: cfg.StdinOnce}.String()
	ann, err := json.Marshal(cfg.Annotations)
	l[labelAnnotations] = string(ann)
	return l, err
}

func podOf(l map[string]string) container.PodRef {
	return container.PodRef{UID: l[labelPodUID], Namespace: l[labelPodNS], Name: l[labelPodName]}
}

// ioFlags say which streams a container has.
type ioFlags struct{ TTY, Stdin, Once bool }

func (f ioFlags) String() string {
	var s []string
	for name, on := range map[string]bool{"tty": f.TTY, "stdin": f.Stdin, "once": f.Once} {
		if on {
			s = append(s, name)
		}
	}
	return strings.Join(s, ",")
}

func parseIOFlags(s string) ioFlags {
	has := func(w string) bool { return strings.Contains(s, w) }
	return ioFlags{TTY: has("tty"), Stdin: has("stdin"), Once: has("once")}
}

// user is how labelUser is written.
type user struct {
	UID, GID int64
	Groups   []int64
}

func atoi(s string) int {
	// The labels are written by this package; a broken one reads as 0.
	n, _ := strconv.Atoi(s)
	return n
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func parseStamp(s string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, s)
	return t
}

func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// exitLabels record how a container ended.
func exitLabels(code int, at time.Time, end string) map[string]string {
	return map[string]string{labelExitCode: strconv.Itoa(code), labelFinished: stamp(at), labelEnd: end}
}
