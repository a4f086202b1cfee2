package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	translate "k8s.io/apiserver/pkg/util/proxy"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

var streamMethods = []string{http.MethodGet, http.MethodPost}

// execREST serves pods/exec.
type execREST struct{ agentProxy }

// attachREST serves pods/attach.
type attachREST struct{ agentProxy }

// portForwardREST serves pods/portforward.
type portForwardREST struct{ agentProxy }

var (
	_ rest.Connecter = (*execREST)(nil)
	_ rest.Connecter = (*attachREST)(nil)
	_ rest.Connecter = (*portForwardREST)(nil)
)

// New implements rest.Storage.
func (*execREST) New() runtime.Object { return &corev1.PodExecOptions{} }

// Destroy implements rest.Storage.
func (*execREST) Destroy() {}

// NewConnectOptions implements rest.Connecter.
func (*execREST) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.PodExecOptions{}, false, ""
}

// ConnectMethods implements rest.Connecter.
func (*execREST) ConnectMethods() []string { return streamMethods }

// Connect streams a command in a container.
func (s *execREST) Connect(ctx context.Context, name string, obj runtime.Object, responder rest.Responder) (http.Handler, error) {
	opts, ok := obj.(*corev1.PodExecOptions)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %#v", obj)
	}
	if len(opts.Command) == 0 {
		return nil, apierrors.NewBadRequest("you must specify at least one command for the container")
	}
	streams := translate.Options{Stdin: opts.Stdin, Stdout: opts.Stdout, Stderr: opts.Stderr, Tty: opts.TTY}
	return s.connect(ctx, "exec", name, opts.Container, streams, url.Values{"command": slices.Clone(opts.Command)}, responder)
}

// New implements rest.Storage.
func (*attachREST) New() runtime.Object { return &corev1.PodAttachOptions{} }

// Destroy implements rest.Storage.
func (*attachREST) Destroy() {}

// NewConnectOptions implements rest.Connecter.
func (*attachREST) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.PodAttachOptions{}, false, ""
}

// ConnectMethods implements rest.Connecter.
func (*attachREST) ConnectMethods() []string { return streamMethods }

// Connect streams the main process of a container.
func (s *attachREST) Connect(ctx context.Context, name string, obj runtime.Object, responder rest.Responder) (http.Handler, error) {
	opts, ok := obj.(*corev1.PodAttachOptions)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %#v", obj)
	}
	streams := translate.Options{Stdin: opts.Stdin, Stdout: opts.Stdout, Stderr: opts.Stderr, Tty: opts.TTY}
	return s.connect(ctx, "attach", name, opts.Container, streams, url.Values{}, responder)
}

// connect proxies exec and attach. A WebSocket client of the newest protocol is
// translated to the SPDY the agent speaks; others are passed through.
func (a *agentProxy) connect(ctx context.Context, verb, name, container string, streams translate.Options, query url.Values, responder rest.Responder) (http.Handler, error) {
	pod, err := a.pod(ctx, name)
	if err != nil {
		return nil, err
	}
	if container, err = containerOf(pod, container); err != nil {
		return nil, err
	}
	location, transport, err := a.locate(ctx, pod)
	if err != nil {
		return nil, err
	}
	location.Path = "/" + verb + "/" + pod.Namespace + "/" + pod.Name + "/" + container
	for key, on := range map[string]bool{"input": streams.Stdin, "output": streams.Stdout, "error": streams.Stderr, "tty": streams.Tty} {
		if on {
			query.Set(key, "1")
		}
	}
	location.RawQuery = query.Encode()
	direct := upgradeProxy(location, transport, false, true, responder)
	translator := translate.NewStreamTranslatorHandler(location, transport, 0, streams)
	return translate.NewTranslatingHandler(direct, translator, wsstream.IsWebSocketRequestWithStreamCloseProtocol), nil
}

// New implements rest.Storage.
func (*portForwardREST) New() runtime.Object { return &corev1.PodPortForwardOptions{} }

// Destroy implements rest.Storage.
func (*portForwardREST) Destroy() {}

// NewConnectOptions implements rest.Connecter.
func (*portForwardREST) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.PodPortForwardOptions{}, false, ""
}

// ConnectMethods implements rest.Connecter.
func (*portForwardREST) ConnectMethods() []string { return streamMethods }

// Connect forwards ports of a pod.
func (s *portForwardREST) Connect(ctx context.Context, name string, obj runtime.Object, responder rest.Responder) (http.Handler, error) {
	opts, ok := obj.(*corev1.PodPortForwardOptions)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %#v", obj)
	}
	pod, err := s.pod(ctx, name)
	if err != nil {
		return nil, err
	}
	location, transport, err := s.locate(ctx, pod)
	if err != nil {
		return nil, err
	}
	location.Path = "/portForward/" + pod.Namespace + "/" + pod.Name
	query := url.Values{}
	for _, port := range opts.Ports {
		query.Add("port", strconv.Itoa(int(port)))
	}
	location.RawQuery = query.Encode()
	direct := upgradeProxy(location, transport, false, true, responder)
	tunnel := translate.NewTunnelingHandler(direct)
	return translate.NewTranslatingHandler(direct, tunnel, wsstream.IsWebSocketRequestWithTunnelingProtocol), nil
}
