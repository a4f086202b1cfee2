package guard

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"k8s.io/client-go/kubernetes/scheme"
)

func TestYAMLLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		entered := 0
		handler := NewLists(scheme.Codecs).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { entered++; <-hold }))
		list := func(accept string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			req := incoming("a", "list", http.NoBody, "")
			req.Header.Set("Accept", accept)
			handler.ServeHTTP(w, req)
			return w
		}
		for range YAMLLists {
			go list("application/yaml")
			synctest.Wait()
		}
		if status := answered(t, list("application/yaml, */*")); status.Code != http.StatusTooManyRequests {
			t.Errorf("one more list in YAML is answered %d", status.Code)
		}
		go list("application/json")
		synctest.Wait()
		if entered != YAMLLists+1 {
			t.Errorf("%d lists are under way, want %d in YAML and one in JSON", entered, YAMLLists)
		}
		close(hold)
		synctest.Wait()
		if w := list("application/yaml"); w.Code != http.StatusOK {
			t.Errorf("when the others are done it is answered %d", w.Code)
		}
	})
}
