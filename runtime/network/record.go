package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// record is what is kept on disk of one pod, so that a restarted process knows
// the addresses and host ports of pods that kept running.
type record struct {
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	NetnsPath string       `json:"netnsPath"`
	IPs       []netip.Addr `json:"ips,omitempty"`
	Ports     []HostPort   `json:"ports,omitempty"`
}

func recordPath(dir, uid string) string { return filepath.Join(dir, uid+".json") }

// saveRecord replaces the pod's record as a whole.
func saveRecord(dir, uid string, rec record) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return writeFile(recordPath(dir, uid), data)
}

// writeFile replaces a file by rename, making its folder when missing.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func removeRecord(dir, uid string) error {
	if err := os.Remove(recordPath(dir, uid)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// loadRecords reads every record; one that cannot be read counts as unfinished,
// so that its pod is set up afresh rather than never.
func loadRecords(dir string) (map[string]record, error) {
	records := map[string]record{}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return records, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read pod network records: %w", err)
	}
	for _, e := range entries {
		uid, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue
		}
		var rec record
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if json.Unmarshal(data, &rec) != nil {
			rec = record{}
		}
		records[uid] = rec
	}
	return records, nil
}
