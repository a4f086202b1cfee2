package custom

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// roadConverter converts kilometres (v1) to metres (v2) and back. fault makes it
// break one of the rules of converters.
type roadConverter struct{ fault atomic.Value }

// conversion is a ConversionReview, as far as it is needed.
type conversion struct {
	metav1.TypeMeta `json:",inline"`
	Request         *struct {
		UID               string                      `json:"uid"`
		DesiredAPIVersion string                      `json:"desiredAPIVersion"`
		Objects           []unstructured.Unstructured `json:"objects"`
	} `json:"request,omitempty"`
	Response *converted `json:"response,omitempty"`
}

type converted struct {
	UID     string                      `json:"uid"`
	Result  metav1.Status               `json:"result"`
	Objects []unstructured.Unstructured `json:"convertedObjects"`
}

// ServeHTTP implements http.Handler.
func (c *roadConverter) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var review conversion
	if err := json.NewDecoder(req.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
		return
	}
	fault, _ := c.fault.Load().(string)
	switch fault {
	case "garbage":
		fmt.Fprint(w, "{")
		return
	case "500":
		http.Error(w, "broken", http.StatusInternalServerError)
		return
	}
	answer := &converted{UID: review.Request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
	for _, obj := range review.Request.Objects {
		answer.Objects = append(answer.Objects, convertRoad(obj, review.Request.DesiredAPIVersion))
	}
	answer.spoil(fault)
	review.Request, review.Response = nil, answer
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}

func convertRoad(obj unstructured.Unstructured, version string) unstructured.Unstructured {
	obj.SetAPIVersion(version)
	spec, _ := obj.Object["spec"].(map[string]any)
	if km, ok := spec["km"].(int64); ok {
		spec["metres"] = km * 1000
		delete(spec, "km")
	} else if metres, ok := spec["metres"].(int64); ok {
		spec["km"] = metres / 1000
		delete(spec, "metres")
	}
	return obj
}

func (a *converted) spoil(fault string) {
	switch fault {
	case "refuse":
		a.Result = metav1.Status{Status: metav1.StatusFailure, Message: "the bridge is out"}
	case "uid":
		a.UID = "another"
	case "count":
		a.Objects = nil
	case "name":
		a.Objects[0].SetName("other")
	case "uidchange":
		a.Objects[0].SetUID("other")
	case "version":
		a.Objects[0].SetAPIVersion("v1")
	}
}
