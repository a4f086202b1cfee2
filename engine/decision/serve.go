package decision

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Path is the prefix the handler serves.
const Path = "/apis/" + GroupVersion

const defaultLimit, mostRecords = 100, 5000

// Handler serves the log, read only, as plain JSON:
//
//	GET {Path}/decisions?object=pod/NAME&limit=N
//	GET {Path}/namespaces/{ns}/decisions?object=pod/NAME&limit=N
//
// and the discovery document at Path. Authentication and authorization are the
// caller's (resource "decisions" in group decisions.pintle.io).
func (l *Log) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, serveDiscovery)
	mux.HandleFunc("GET "+Path+"/decisions", l.serveList)
	mux.HandleFunc("GET "+Path+"/namespaces/{namespace}/decisions", l.serveList)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "decisions can only be read: GET "+Path+"/namespaces/NAMESPACE/decisions")
	})
	return mux
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
