package guard

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/yaml"
)

// Bodies refuses request bodies that are small to send and large to work on.
type Bodies struct {
	// Limit is the size from which on the API library refuses a body by itself.
	Limit int
	// Types are the Go types of the resources that are served here.
	Types map[schema.GroupVersionResource]reflect.Type
	// Codecs encodes refusals.
	Codecs runtime.NegotiatedSerializer

	room room
}

// Wrap puts the checks before next. It belongs behind authorization.
func (b *Bodies) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		info, ok := request.RequestInfoFrom(req.Context())
		if !ok || !info.IsResourceRequest || !carriesObject(info.Verb) || req.Body == nil {
			next.ServeHTTP(w, req)
			return
		}
		release, err := b.room.take(req)
		if err == nil {
			defer release()
			err = b.check(req, info)
		}
		if err != nil {
			gv := schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
			responsewriters.ErrorNegotiated(err, b.Codecs, gv, w, req)
			return
		}
		next.ServeHTTP(w, req)
	})
}

func carriesObject(verb string) bool { return verb == "create" || verb == "update" || verb == "patch" }

// check reads the body and leaves it to be read again.
func (b *Bodies) check(req *http.Request, info *request.RequestInfo) error {
	t := b.Types[schema.GroupVersionResource{Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource}]
	media, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	isYAML := media == runtime.ContentTypeYAML || media == string(types.ApplyYAMLPatchType)
	if t == nil && !isYAML && req.ContentLength >= 0 && req.ContentLength < wideBody {
		return nil
	}
	original := req.Body
	if req.ContentLength > int64(b.Limit) {
		return nil // refused behind
	}
	body, err := read(original, req.ContentLength, b.Limit)
	if err != nil || len(body) > b.Limit {
		// The handlers behind see the same error, or count the same bytes.
		req.Body = &again{io.MultiReader(bytes.NewReader(body), failing{err}, original), original}
		return nil
	}
	req.Body = &again{bytes.NewReader(body), original}
	if isYAML {
		if err := YAML(body, b.Limit); err != nil {
			return apierrors.NewBadRequest(err.Error())
		}
	}
	if len(body) >= wideBody {
		if errs := metadataIn(body, media).errors(); len(errs) > 0 {
			return apierrors.NewInvalid(schema.GroupKind{Group: info.APIGroup, Kind: info.Resource}, head(info.Name), errs)
		}
	}
	if t == nil {
		return nil
	}
	if err := checkNumbers(body, media, t); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	return nil
}

// wideBody is the size below which the metadata in a body is harmless.
const wideBody = 64 << 10

// checkNumbers looks closer at bodies that are suspicious.
func checkNumbers(body []byte, media string, t reflect.Type) error {
	if !suspicious(body) {
		return nil
	}
	switch media {
	case runtime.ContentTypeProtobuf:
		return checkEnvelope(body, t)
	case string(types.JSONPatchType):
		return checkJSONPatch(body, t)
	case runtime.ContentTypeYAML, string(types.ApplyYAMLPatchType):
		converted, err := yaml.YAMLToJSON(body)
		if err != nil {
			return nil // the decoder says it better
		}
		body = converted
	}
	return checkJSON(body, t)
}

// read reads a little more than limit at most.
func read(body io.Reader, length int64, limit int) ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, 0, max(length, 0)+bytes.MinRead))
	_, err := buf.ReadFrom(io.LimitReader(body, int64(limit)+1))
	return buf.Bytes(), err
}

// again is a body that was read and is read once more.
type again struct {
	io.Reader
	io.Closer
}

// failing is the end of a body that broke off.
type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

// waitsFor returns the error that tells the client to come back.
func waitsFor(ctx context.Context, what string) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return apierrors.NewTimeoutError("the client has gone", 0)
	}
	return apierrors.NewTooManyRequests(what, 1)
}
