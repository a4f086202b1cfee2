package decision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Path is the prefix the handler serves.
const Path = "/apis/" + GroupVersion

const defaultLimit, mostRecords = 100, 5000

// API is what is served about decisions.
type API struct {
	// Decisions are what was decided, Denials what was refused to whom.
	Decisions, Denials *Log
	// Judge answers why a pod is not on a node. Its errors may be API statuses.
	Judge func(ctx context.Context, namespace, pod, node string) (*Judgement, error)
}

// Handler serves the logs, read only, as plain JSON:
//
//	GET {Path}/decisions?object=pod/NAME&limit=N
//	GET {Path}/namespaces/{ns}/decisions?object=pod/NAME&limit=N
//	GET {Path}/namespaces/{ns}/judgements?pod=NAME&node=NAME
//
// denials as decisions are, and the discovery document at Path. Authentication and
// authorization are the caller's (resources decisions, denials and judgements in
// group decisions.pintle.io).
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, serveDiscovery)
	for name, log := range map[string]*Log{"decisions": a.Decisions, "denials": a.Denials} {
		mux.HandleFunc("GET "+Path+"/"+name, log.serveList)
		mux.HandleFunc("GET "+Path+"/namespaces/{namespace}/"+name, log.serveList)
	}
	mux.HandleFunc("GET "+Path+"/namespaces/{namespace}/judgements", a.serveJudgement)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "decisions can only be read: GET "+Path+"/namespaces/NAMESPACE/decisions")
	})
	return mux
}

func (a *API) serveJudgement(w http.ResponseWriter, r *http.Request) {
	pod, node := r.URL.Query().Get("pod"), r.URL.Query().Get("node")
	if pod == "" || node == "" {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, "name both: ?pod=NAME&node=NAME")
		return
	}
	j, err := a.Judge(r.Context(), r.PathValue("namespace"), pod, node)
	if err != nil {
		var known apierrors.APIStatus
		if !errors.As(err, &known) {
			known = apierrors.NewInternalError(err)
		}
		status := known.Status()
		status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
		write(w, int(status.Code), status)
		return
	}
	j.TypeMeta = metav1.TypeMeta{APIVersion: GroupVersion, Kind: "Judgement"}
	write(w, http.StatusOK, j)
}

func (l *Log) serveList(w http.ResponseWriter, r *http.Request) {
	o := Object{Namespace: r.PathValue("namespace")}
	if of := r.URL.Query().Get("object"); of != "" {
		kind, name, ok := strings.Cut(of, "/")
		if !ok || kind == "" || name == "" {
			refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, fmt.Sprintf("object %q is not of the form KIND/NAME", of))
			return
		}
		o.Kind, o.Name = strings.ToLower(kind), name
	}
	limit := defaultLimit
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, fmt.Sprintf("limit %q is not a positive number", text))
			return
		}
		limit = min(n, mostRecords)
	}
	write(w, http.StatusOK, NewList(l.For(o, limit)))
}

func serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, Discovery())
}

// Discovery describes what Handler serves.
func Discovery() metav1.APIResourceList {
	return metav1.APIResourceList{
		TypeMeta:     metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
		GroupVersion: GroupVersion,
		APIResources: []metav1.APIResource{{
			Name: "decisions", SingularName: "decision", Namespaced: true, Kind: "Decision", Verbs: metav1.Verbs{"list"},
			Group: "decisions.pintle.io", Version: "v1alpha1",
		}, {
			Name: "denials", SingularName: "denial", Namespaced: true, Kind: "Denial", Verbs: metav1.Verbs{"list"},
			Group: "decisions.pintle.io", Version: "v1alpha1",
		}, {
			Name: "judgements", SingularName: "judgement", Namespaced: true, Kind: "Judgement", Verbs: metav1.Verbs{"list"},
			Group: "decisions.pintle.io", Version: "v1alpha1",
		}},
	}
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	write(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Reason: reason, Code: int32(code), Message: message,
	})
}

func write(w http.ResponseWriter, code int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(b) // the client may be gone
}
