package agent

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/agent/podplan"
	"github.com/pintle-io/pintle/runtime/container"
	"github.com/pintle-io/pintle/runtime/image"
)

// Back-off of image pulls.
const (
	pullBackoff    = 10 * time.Second
	pullBackoffMax = 5 * time.Minute
)

// startError is why a container could not be started: what its status shows
// while it waits, and when to try again.
type startError struct {
	reason string
	err    error
	retry  time.Duration
}

func (e *startError) Error() string { return e.reason + ": " + e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// ensureImage makes the container's image present as its pull policy asks.
func (w *worker) ensureImage(ctx context.Context, pod *corev1.Pod, c *corev1.Container) (container.Image, error) {
	ref, err := image.Normalize(c.Image)
	if err != nil {
		//lint:ignore ST1005 shown in pod status as upstream writes it
		err = fmt.Errorf("Failed to apply default image tag %q: %w", c.Image, err)
		w.event(pod, c, corev1.EventTypeWarning, "InspectFailed", err.Error())
		return container.Image{}, &startError{"InvalidImageName", err, pullBackoff}
	}
	img, err := w.a.cfg.Runtime.Image(ctx, ref)
	present := err == nil
	if err != nil && !errors.Is(err, container.ErrNotFound) {
		return img, &startError{"ImageInspectError", err, pullBackoff}
	}
	if !mustPull(c.ImagePullPolicy, present) {
		if !present {
			//lint:ignore ST1005 as above
			err := fmt.Errorf("Container image %q is not present with pull policy of Never", c.Image)
			w.event(pod, c, corev1.EventTypeWarning, "ErrImageNeverPull", err.Error())
			return img, &startError{"ErrImageNeverPull", err, pullBackoff}
		}
		w.event(pod, c, corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Container image %q already present on machine and can be accessed by the pod", c.Image))
		return img, nil
	}
	return w.pull(ctx, pod, c, ref)
}

func mustPull(policy corev1.PullPolicy, present bool) bool {
	return policy == corev1.PullAlways || policy != corev1.PullNever && !present
}

func (w *worker) pull(ctx context.Context, pod *corev1.Pod, c *corev1.Container, ref string) (container.Image, error) {
	creds, err := w.pullCredentials(ctx, pod)
	if err != nil {
		w.event(pod, c, corev1.EventTypeWarning, "FailedToRetrieveImagePullSecret", err.Error())
	}
	w.event(pod, c, corev1.EventTypeNormal, "Pulling", fmt.Sprintf("Pulling image %q", c.Image))
	begin := time.Now()
	img, err := w.a.cfg.Runtime.PullImage(ctx, ref, creds)
	if err == nil {
		delete(w.pulls, ref)
		took := time.Since(begin).Truncate(time.Millisecond)
		w.event(pod, c, corev1.EventTypeNormal, "Pulled",
			fmt.Sprintf("Successfully pulled image %q in %s (%s including waiting). Image size: %d bytes.", c.Image, took, took, img.Size))
		return img, nil
	}
	if ctx.Err() != nil {
		return img, ctx.Err()
	}
	w.event(pod, c, corev1.EventTypeWarning, "Failed", fmt.Sprintf("Failed to pull image %q: %v", c.Image, err))
	w.event(pod, c, corev1.EventTypeWarning, "Failed", "Error: ErrImagePull")
	delay := pullBackoff
	if last, ok := w.pulls[ref]; ok {
		delay = min(2*last, pullBackoffMax)
	}
	w.pulls[ref] = delay
	return img, &startError{"ErrImagePull", err, delay}
}

// backOff turns the reason of a failed pull into that of waiting for the next.
func backOff(h podplan.Hold, pod *corev1.Pod, c *corev1.Container) podplan.Hold {
	if h.Reason == "ErrImagePull" {
		h.Reason = "ImagePullBackOff"
		h.Message = fmt.Sprintf("Back-off pulling image %q: ErrImagePull: %s", c.Image, h.Message)
	}
	return h
}

// pullCredentials reads the pod's imagePullSecrets. What cannot be read is
// reported and left out.
func (w *worker) pullCredentials(ctx context.Context, pod *corev1.Pod) ([]container.Credential, error) {
	var out []container.Credential
	var errs []error
	for _, ref := range pod.Spec.ImagePullSecrets {
		s, err := w.a.objects.Secret(ctx, pod, ref.Name)
		if err != nil {
			errs = append(errs, fmt.Errorf("image pull secret %q: %w", ref.Name, err))
			continue
		}
		creds, err := parseDockerConfig(s.Data)
		if err != nil {
			errs = append(errs, fmt.Errorf("image pull secret %q: %w", ref.Name, err))
			continue
		}
		out = append(out, creds...)
	}
	return out, errors.Join(errs...)
}

type dockerAuth struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Auth     string `json:"auth"`
}

// parseDockerConfig reads a secret of type dockerconfigjson or dockercfg.
func parseDockerConfig(data map[string][]byte) ([]container.Credential, error) {
	var auths map[string]dockerAuth
	if b, ok := data[corev1.DockerConfigJsonKey]; ok {
		var cfg struct {
			Auths map[string]dockerAuth `json:"auths"`
		}
		if err := json.Unmarshal(b, &cfg); err != nil {
			return nil, err
		}
		auths = cfg.Auths
	} else if b, ok := data[corev1.DockerConfigKey]; ok {
		if err := json.Unmarshal(b, &auths); err != nil {
			return nil, err
		}
	}
	var out []container.Credential
	for host, a := range auths {
		if a.Auth != "" && a.Username == "" {
			plain, err := base64.StdEncoding.DecodeString(a.Auth)
			if err != nil {
				return nil, fmt.Errorf("auth of %s: %w", host, err)
			}
			a.Username, a.Password, _ = strings.Cut(string(plain), ":")
		}
		out = append(out, container.Credential{Registry: host, Username: a.Username, Password: a.Password})
	}
	return out, nil
}

// verifyNonRoot enforces runAsNonRoot.
func verifyNonRoot(pod *corev1.Pod, c *corev1.Container, img container.Image) error {
	sec := effective(pod, c)
	if !sec.nonRoot {
		return nil
	}
	if sec.RunAsUser != nil {
		if *sec.RunAsUser == 0 {
			return errors.New("container's runAsUser breaks non-root policy")
		}
		return nil
	}
	name, _, _ := strings.Cut(img.User, ":")
	uid, err := strconv.ParseInt(name, 10, 64)
	switch {
	case name == "":
		uid = 0
	case err != nil:
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root", name)
	}
	if uid == 0 {
		return errors.New("container has runAsNonRoot and image will run as root")
	}
	return nil
}
