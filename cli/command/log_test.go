package command

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"k8s.io/klog/v2"
)

func TestOrdinaryMessagesOfUpstreamAreLeftOut(t *testing.T) {
	var out bytes.Buffer
	log, err := newLogger(&out, "info")
	if err != nil {
		t.Fatal(err)
	}
	klog.ErrorS(errors.New("use of closed network connection"), "Error on socket receive")
	klog.ErrorS(errors.New("disk is gone"), "Cannot write")
	klog.InfoS("Starting something")
	log.Info("ours")
	got := out.String()
	if strings.Contains(got, "socket receive") || strings.Contains(got, "Starting something") {
		t.Errorf("ordinary messages were logged:\n%s", got)
	}
	if !strings.Contains(got, "disk is gone") || !strings.Contains(got, "ours") {
		t.Errorf("messages are missing:\n%s", got)
	}
	if _, err := newLogger(&out, "loud"); err == nil {
		t.Error("the level loud was taken")
	}
}
