// Package command owns the command line: one file per verb. A verb parses its
// flags, calls package app or a client, and prints; it decides nothing about the
// cluster. Output goes to the writers of the urfave/cli App, never to os.Stdout
// directly, except for kubectl's own verbs, which k8s.io/kubectl serves.
package command
