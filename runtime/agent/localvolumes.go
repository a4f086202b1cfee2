package agent

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
)

// Local volumes are directories that the server's local provisioner has this node
// make and remove through the kubelet API:
//
//	PUT    /localVolumes/NAME   makes the directory
//	DELETE /localVolumes/NAME   removes it and what is in it
//
// Both may be repeated. The annotation localRoot of the Node says where they are.
const localRoot = "pintle.io/local-volumes"

// localName is the shape of names that the provisioner gives.
var localName = regexp.MustCompile(`^pvc-[0-9a-z-]{1,60}$`)

func (a *Agent) localDir() string { return filepath.Join(a.cfg.DataDir, "local") }

func (a *Agent) serveLocalVolume(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !localName.MatchString(name) {
		http.Error(w, "not the name of a local volume: "+name, http.StatusBadRequest)
		return
	}
	dir := filepath.Join(a.localDir(), name)
	var err error
	if r.Method == http.MethodDelete {
		err = os.RemoveAll(dir)
	} else if err = os.MkdirAll(dir, 0o755); err == nil {
		// Any user of a container may write; the directory above is for root alone.
		err = os.Chmod(dir, 0o777) //nolint:gosec // as said
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
