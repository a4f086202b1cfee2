package network

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// forwardRules let a bridge's traffic pass the machine's FORWARD chain.
func forwardRules(bridge string) [][]string {
	rule := func(match ...string) []string {
		return append(match, "-m", "comment", "--comment", "pintle", "-j", "ACCEPT")
	}
	return [][]string{rule("-i", bridge), rule("-o", bridge)}
}

// admitBridge asks an iptables firewall that is in force already to let the
// bridge's traffic pass. Docker and some distributions drop what is forwarded,
// and a drop in one table cannot be undone from another: this is the one place
// where we have to write into a chain that is not ours. Without such a firewall
// nothing is run.
func admitBridge(ctx context.Context, bridge string) error {
	if !iptablesInForce(ctx) {
		return nil
	}
	for _, rule := range forwardRules(bridge) {
		if iptables(ctx, "-C", rule) == nil {
			continue
		}
		if err := iptables(ctx, "-I", rule); err != nil {
			return fmt.Errorf("a firewall filters forwarded packets and cannot be told to let pods through: %w", err)
		}
	}
	return nil
}

// forgetBridge takes the rules of admitBridge back.
func forgetBridge(ctx context.Context, bridge string) error {
	if !iptablesInForce(ctx) {
		return nil
	}
	for _, rule := range forwardRules(bridge) {
		for iptables(ctx, "-C", rule) == nil {
			if err := iptables(ctx, "-D", rule); err != nil {
				return fmt.Errorf("remove firewall rule: %w", err)
			}
		}
	}
	return nil
}

// iptablesInForce looks for a FORWARD chain of either kind of iptables without
// running it: that alone would make its tables.
func iptablesInForce(ctx context.Context) bool {
	names, err := os.ReadFile("/proc/thread-self/net/ip_tables_names")
	if err == nil && strings.Contains(string(names), "filter") {
		return true
	}
	return exec.CommandContext(ctx, "nft", "list", "chain", "ip", "filter", "FORWARD").Run() == nil
}

func iptables(ctx context.Context, verb string, rule []string) error {
	args := append([]string{"-w", "5", verb, "FORWARD"}, rule...)
	out, err := exec.CommandContext(ctx, "iptables", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("iptables %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
