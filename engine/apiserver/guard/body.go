package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
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
		if !ok || !carriesObject(info) || req.Body == nil {
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

// carriesObject leaves out what is passed on to pods, nodes and services as it comes.
func carriesObject(info *request.RequestInfo) bool {
	switch info.Subresource {
	case "proxy", "exec", "attach", "portforward":
		return false
	}
	return info.IsResourceRequest && (info.Verb == "create" || info.Verb == "update" || info.Verb == "patch")
}

// definitionType has schemas within schemas: the only built-in type without a bound
// of its own to its depth.
var definitionType = reflect.TypeFor[*apiextensionsv1.CustomResourceDefinition]()

// check reads the body and leaves it to be read again.
func (b *Bodies) check(req *http.Request, info *request.RequestInfo) error {
	t := b.Types[schema.GroupVersionResource{Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource}]
	media, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	isYAML := media == runtime.ContentTypeYAML || media == string(types.ApplyYAMLPatchType)
	if info.APIGroup == apiextensionsv1.GroupName && info.Resource == "customresourcedefinitions" {
		t = definitionType
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
	text := body
	if isYAML {
		if err := YAML(body, b.Limit); err != nil {
			return apierrors.NewBadRequest(err.Error())
		}
		text = inJSON(body)
	}
	if media != runtime.ContentTypeProtobuf && deepJSON(text) {
		return apierrors.NewBadRequest(errDepth.Error())
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

// inJSON converts YAML, unless it is JSON already or cannot be read, which the
// decoder says better.
func inJSON(body []byte) []byte {
	if json.Valid(body) {
		return body
	}
	converted, err := yaml.YAMLToJSON(body)
	if err != nil {
		return nil
	}
	return converted
}

// wideBody is the size below which the metadata in a body is harmless.
const wideBody = 64 << 10

// checkNumbers looks closer at bodies that are suspicious.
func checkNumbers(body []byte, media string, t reflect.Type) error {
	if media == runtime.ContentTypeProtobuf && (t == definitionType || suspicious(body)) {
		return checkEnvelope(body, t)
	}
	if !suspicious(body) {
		return nil
	}
	switch media {
	case string(types.JSONPatchType):
		return checkJSONPatch(body, t)
	case runtime.ContentTypeYAML, string(types.ApplyYAMLPatchType):
		body = inJSON(body)
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
