package decision

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Judgement answers "why not there": what each hard rule says of a pod on a node,
// as if the pod were on no node, and how the node ranks among those it may go to.
type Judgement struct {
	metav1.TypeMeta `json:",inline"`
	Pod             Object `json:"pod"`
	Node            string `json:"node"`
	// Chosen is the node that the pod is on, if it is on one.
	Chosen string  `json:"chosen,omitempty"`
	Checks []Check `json:"checks"`
	// Candidates is how many nodes there are, Feasible how many the pod may go to.
	Candidates int `json:"candidates"`
	Feasible   int `json:"feasible"`
	// Score of the node by the built-in strategy, nil if the pod may not go there;
	// ChosenScore of the node it is on, Best of the one that scores highest.
	Score       *Scored `json:"score,omitempty"`
	ChosenScore *Scored `json:"chosenScore,omitempty"`
	Best        *Scored `json:"best,omitempty"`
	// Rank is one more than the number of nodes that score higher.
	Rank int `json:"rank,omitempty"`
	// Notes are what holds for all nodes.
	Notes []string `json:"notes,omitempty"`
}

// Check is what one hard rule says.
type Check struct {
	// Name as upstream has it: NodeAffinity.
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	// Message is in the words of events, empty if the rule is met.
	Message string   `json:"message,omitempty"`
	Details []string `json:"details,omitempty"`
}

// Scored is a node and its score.
type Scored struct {
	Node  string `json:"node"`
	Score int32  `json:"score"`
}

// Fits reports that no rule speaks against the node.
func (j *Judgement) Fits() bool {
	for i := range j.Checks {
		if !j.Checks[i].Passed {
			return false
		}
	}
	return true
}

// Explain renders the judgement for a person.
func (j *Judgement) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on node/%s: %s\n", j.Pod, j.Node, j.verdict())
	for _, note := range j.Notes {
		fmt.Fprintf(&b, "  note: %s\n", note)
	}
	for i := range j.Checks {
		c := &j.Checks[i]
		mark := "ok"
		if !c.Passed {
			mark = "NO"
		}
		line := fmt.Sprintf("  %s  %-24s %s", mark, c.Name, c.Message)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		for _, d := range c.Details {
			fmt.Fprintf(&b, "        %s\n", d)
		}
	}
	if j.Score != nil {
		fmt.Fprintf(&b, "  score %d, rank %d of the %d node(s) that fit\n", j.Score.Score, j.Rank, j.Feasible)
	} else {
		fmt.Fprintf(&b, "  %d of %d node(s) fit\n", j.Feasible, j.Candidates)
	}
	if j.ChosenScore != nil {
		fmt.Fprintf(&b, "  the pod is on %s, which would score %d now\n", j.ChosenScore.Node, j.ChosenScore.Score)
	}
	if j.Best != nil {
		fmt.Fprintf(&b, "  the highest score is %d, of %s\n", j.Best.Score, j.Best.Node)
	}
	b.WriteString("Scores are the built-in strategy's, of now and without the pod itself; equals are chosen from at random.\n")
	return b.String()
}

func (j *Judgement) verdict() string {
	switch {
	case j.Node == j.Chosen:
		return "it is there"
	case !j.Fits():
		return "it cannot go there"
	case j.Chosen == "":
		return "it could go there"
	case j.ChosenScore == nil:
		return "it could go there; where it is, it could not be placed again"
	case j.Score != nil && j.Score.Score < j.ChosenScore.Score:
		return fmt.Sprintf("it could go there, but %s scores higher", j.Chosen)
	case j.Score != nil && j.Score.Score > j.ChosenScore.Score:
		return fmt.Sprintf("it could go there, and today it would rather than to %s", j.Chosen)
	}
	return fmt.Sprintf("it could go there as well as to %s", j.Chosen)
}
