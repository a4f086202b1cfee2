package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// identityKey marks a request made by this process. The type is private, so no
// request from the network can carry it.
type identityKey struct{}

// Authenticator accepts exactly the requests that the in-process transport makes.
func Authenticator() authenticator.Request {
	return authenticator.RequestFunc(func(req *http.Request) (*authenticator.Response, bool, error) {
		u, ok := req.Context().Value(identityKey{}).(user.Info)
		if !ok {
			return nil, false, nil
		}
		return &authenticator.Response{User: u}, true, nil
	})
}

// InProcess tells the requests that the in-process transport made.
func InProcess(ctx context.Context) bool {
	_, ok := ctx.Value(identityKey{}).(user.Info)
	return ok
}

// RESTConfig returns a configuration for client-go's clients, over the in-process
// transport, with this client's identity.
func (c *Client) RESTConfig() *rest.Config {
	return &rest.Config{
		Host:      "http://pintle.in-process",
		Transport: roundTripper{shared: c.shared, user: c.user},
		UserAgent: c.manager,
		QPS:       -1,
	}
}

// Clientset returns a clientset over the in-process transport.
func (c *Client) Clientset() kubernetes.Interface {
	cfg := c.RESTConfig()
	cfg.ContentType = runtime.ContentTypeProtobuf
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return kubernetes.NewForConfigOrDie(cfg)
}

// Dynamic returns a dynamic client over the in-process transport.
func (c *Client) Dynamic() dynamic.Interface {
	return dynamic.NewForConfigOrDie(c.RESTConfig())
}

// Metadata returns a metadata client over the in-process transport.
func (c *Client) Metadata() metadata.Interface {
	return metadata.NewForConfigOrDie(metadata.ConfigFor(c.RESTConfig()))
}

// Patch applies a patch through the server's handler and returns the new object
// as unstructured content. It works for every served resource, custom ones too.
func (c *Client) Patch(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string, kind types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (runtime.Object, error) {
	if opts.FieldManager == "" {
		opts.FieldManager = c.manager
	}
	if namespace == "" {
		return c.Dynamic().Resource(gvr).Patch(ctx, name, kind, data, opts, subresources...)
	}
	return c.Dynamic().Resource(gvr).Namespace(namespace).Patch(ctx, name, kind, data, opts, subresources...)
}

// requestTimeout bounds Request: who asks has other things to do.
const requestTimeout = 15 * time.Second

// Request sends a request without a body through the server's handler. An answer
// other than 2xx is an error with the answer's text.
func (c *Client) Request(ctx context.Context, method, path string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.RESTConfig().Host+path, nil)
	if err != nil {
		return err
	}
	answer, err := roundTripper{shared: c.shared, user: c.user}.RoundTrip(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 == 2 {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1024))
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %s", answer.Status, strings.TrimSpace(string(text)))
}

func (c *Client) dynamicDelete(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string, opts metav1.DeleteOptions) error {
	if namespace == "" {
		return c.Dynamic().Resource(gvr).Delete(ctx, name, opts)
	}
	return c.Dynamic().Resource(gvr).Namespace(namespace).Delete(ctx, name, opts)
}

func (c *Client) dynamicDeleteCollection(ctx context.Context, gvr schema.GroupVersionResource, namespace string, opts metav1.DeleteOptions, list ListOptions) error {
	selected := metav1.ListOptions{ResourceVersion: list.ResourceVersion}
	if list.Labels != nil {
		selected.LabelSelector = list.Labels.String()
	}
	if list.Fields != nil {
		selected.FieldSelector = list.Fields.String()
	}
	return c.Dynamic().Resource(gvr).Namespace(namespace).DeleteCollection(ctx, opts, selected)
}

// roundTripper serves requests with the server's handler, in process. Responses
// stream: a watch yields its events as the handler writes them, and closing the
// body or cancelling the request ends the handler.
type roundTripper struct {
	shared *shared
	user   user.Info
}

// ofItsOwn is ctx for a request that another one, which is being served, gives rise
// to: it ends with the other, but has nothing of what the server noted about that
// (its user, its audit event, its warnings).
func ofItsOwn(ctx context.Context) context.Context {
	if audit.AuditContextFrom(ctx) == nil {
		return ctx
	}
	return endsWith{ctx}
}

// endsWith is its parent without values.
type endsWith struct{ context.Context }

// Value implements context.Context.
func (endsWith) Value(any) any { return nil }

func (t roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	t.shared.late.RLock()
	handler := t.shared.late.handler
	t.shared.late.RUnlock()
	if handler == nil {
		return nil, errors.New("client: the server's handler is not set yet")
	}
	ctx, cancel := context.WithCancel(context.WithValue(ofItsOwn(req.Context()), identityKey{}, t.user))
	in := req.Clone(ctx)
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:0"
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/2.0", 2, 0
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := newResponse(cancel)
	go func() {
		defer w.finish()
		handler.ServeHTTP(w, in)
	}()
	select {
	case <-w.started:
	case <-req.Context().Done():
		cancel()
		return nil, req.Context().Err()
	}
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", w.code, http.StatusText(w.code)),
		StatusCode: w.code,
		Proto:      "HTTP/2.0", ProtoMajor: 2,
		Header:        w.sent,
		Body:          w,
		ContentLength: -1,
		Request:       req,
	}, nil
}

// maxBuffered is how far a handler may run ahead of the reader, in bytes.
const maxBuffered = 256 << 10

// response is both ends of one in-process response: the handler writes, the
// caller reads. Headers are frozen at the first write.
type response struct {
	cancel  context.CancelFunc
	header  http.Header
	sent    http.Header
	code    int
	started chan struct{}

	mu struct {
		sync.Mutex
		buf    []byte
		done   bool // the handler returned
		closed bool // the reader left
	}
	wake *sync.Cond
}

func newResponse(cancel context.CancelFunc) *response {
	r := &response{cancel: cancel, header: http.Header{}, started: make(chan struct{})}
	r.wake = sync.NewCond(&r.mu)
	return r
}

func (r *response) Header() http.Header { return r.header }

func (r *response) WriteHeader(code int) {
	if r.sent != nil || code < 200 {
		return
	}
	r.code = code
	r.sent = r.header.Clone()
	close(r.started)
}

func (r *response) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.mu.buf) >= maxBuffered && !r.mu.closed {
		r.wake.Wait()
	}
	if r.mu.closed {
		return 0, io.ErrClosedPipe
	}
	r.mu.buf = append(r.mu.buf, p...)
	r.wake.Broadcast()
	return len(p), nil
}

// Flush lets a handler send its headers before the first byte of the body.
func (r *response) Flush() { r.WriteHeader(http.StatusOK) }

// CloseNotify is asked for by the server's filters; cancellation arrives through
// the request's context.
func (r *response) CloseNotify() <-chan bool { return make(chan bool) }

// finish ends the response when the handler returned or panicked.
func (r *response) finish() {
	if p := recover(); p != nil && p != http.ErrAbortHandler {
		r.WriteHeader(http.StatusInternalServerError)
	}
	r.WriteHeader(http.StatusOK)
	r.mu.Lock()
	r.mu.done = true
	r.wake.Broadcast()
	r.mu.Unlock()
	r.cancel()
}

func (r *response) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.mu.buf) == 0 {
		if r.mu.closed {
			return 0, http.ErrBodyReadAfterClose
		}
		if r.mu.done {
			return 0, io.EOF
		}
		r.wake.Wait()
	}
	n := copy(p, r.mu.buf)
	if r.mu.buf = r.mu.buf[n:]; len(r.mu.buf) == 0 {
		r.mu.buf = nil
	}
	r.wake.Broadcast()
	return n, nil
}

// Close is called by the reader: the handler's context ends.
func (r *response) Close() error {
	r.mu.Lock()
	r.mu.closed = true
	r.wake.Broadcast()
	r.mu.Unlock()
	r.cancel()
	return nil
}
