//go:build !wasip1

package scheduling

import "github.com/pintle-io/pintle/wasm/abi"

// Refused is the score of a row that a filter refuses, or that holds no node.
const Refused = -1

// Scores returns what the strategy gives each row for the next pod of the class,
// without placing it. It is not safe beside Place.
func (n *Native) Scores(s *abi.Snapshot, c *abi.Class) ([]int32, error) {
	if err := n.sync(s); err != nil {
		return nil, err
	}
	return n.strategy.scores(c), nil
}

func (s *Strategy) scores(c *abi.Class) []int32 {
	s.view.Refresh()
	s.rows, s.class = s.view.Rows, c
	s.filter()
	s.collectDomains()
	s.scoreFixed()
	s.scoreRows()
	score, fail := s.score, s.fail
	if len(s.domains) > 0 {
		s.filterDomains()
		s.addDomainScores()
		score, fail = s.soft, s.dfail
	}
	out := make([]int32, s.rows)
	for r := range out {
		if out[r] = score[r]; fail[r] != 0 {
			out[r] = Refused
		}
	}
	return out
}
