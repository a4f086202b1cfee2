package agent

import "context"

func (a *Agent) serve(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
