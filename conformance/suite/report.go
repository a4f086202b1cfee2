package suite

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"sort"
	"strings"
	"text/tabwriter"
	"time"
)

// State is how a case ended.
type State string

const (
	Passed  State = "passed"
	Failed  State = "failed"
	Skipped State = "skipped"
)

// Result is one case's outcome. Log is kept for failures only.
type Result struct {
	Name    string  `json:"name"`
	Promise string  `json:"promise"`
	State   State   `json:"state"`
	Seconds float64 `json:"seconds"`
	Message string  `json:"message,omitempty"`
	Log     string  `json:"log,omitempty"`
}

// Report is a whole run.
type Report struct {
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Results []Result  `json:"results"`
}

// Failed says whether any case failed.
func (r *Report) Failed() bool {
	for _, result := range r.Results {
		if result.State == Failed {
			return true
		}
	}
	return false
}

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// WriteTable writes counts by area, then what did not pass.
func (r *Report) WriteTable(w io.Writer) error {
	counts := map[string]map[State]int{}
	for _, result := range r.Results {
		area, _, _ := strings.Cut(result.Name, "/")
		if counts[area] == nil {
			counts[area] = map[State]int{}
		}
		counts[area][result.State]++
	}
	areas := make([]string, 0, len(counts))
	for area := range counts {
		areas = append(areas, area)
	}
	sort.Strings(areas)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "AREA\tPASSED\tFAILED\tSKIPPED")
	for _, area := range areas {
		n := counts[area]
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\n", area, n[Passed], n[Failed], n[Skipped])
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, result := range r.Results {
		if result.State != Passed {
			fmt.Fprintf(w, "%s %s: %s\n", result.State, result.Name, result.Message)
		}
	}
	_, err := fmt.Fprintf(w, "%d cases in %.1f s\n", len(r.Results), r.Seconds)
	return err
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     float64     `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Time    float64       `xml:"time,attr"`
	Failure *junitMessage `xml:"failure"`
	Skipped *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the report in JUnit's XML form.
func (r *Report) WriteJUnit(w io.Writer) error {
	out := junitSuite{Name: "pintle-conformance", Tests: len(r.Results), Time: r.Seconds}
	for _, result := range r.Results {
		c := junitCase{Name: result.Name, Time: result.Seconds}
		switch result.State {
		case Failed:
			out.Failures++
			c.Failure = &junitMessage{result.Message, result.Log}
		case Skipped:
			out.Skipped++
			c.Skipped = &junitMessage{Message: result.Message}
		}
		out.Cases = append(out.Cases, c)
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
