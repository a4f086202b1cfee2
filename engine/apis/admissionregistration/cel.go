package admissionregistration

import (
	"sync"

	"k8s.io/apimachinery/pkg/util/validation/field"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// baseEnvironment is built on first use: most clusters never write an expression.
var baseEnvironment = sync.OnceValue(func() *environment.EnvSet {
	return environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
})

var conditionCompiler = sync.OnceValue(func() plugincel.Compiler { return plugincel.NewCompiler(baseEnvironment()) })

// compileCondition checks a match condition of a webhook.
func compileCondition(expression string, at *field.Path) field.ErrorList {
	accessor := &matchconditions.MatchCondition{Expression: expression}
	return compile(conditionCompiler(), accessor, plugincel.OptionalVariableDeclarations{HasAuthorizer: true}, at)
}

func compile(c plugincel.Compiler, accessor plugincel.ExpressionAccessor, options plugincel.OptionalVariableDeclarations, at *field.Path) field.ErrorList {
	result := c.CompileCELExpression(accessor, options, environment.NewExpressions)
	return celErrors(result.Error, accessor.GetExpression(), at)
}

func celErrors(err *apiservercel.Error, expression string, at *field.Path) field.ErrorList {
	switch {
	case err == nil:
		return nil
	case err.Type == apiservercel.ErrorTypeRequired:
		return field.ErrorList{field.Required(at, err.Detail)}
	case err.Type == apiservercel.ErrorTypeInvalid:
		return field.ErrorList{field.Invalid(at, expression, err.Detail)}
	default:
		return field.ErrorList{field.InternalError(at, err)}
	}
}

// policyCompiler checks the expressions of one policy, which share its variables.
type policyCompiler struct {
	*plugincel.CompositedCompiler
	options plugincel.OptionalVariableDeclarations
}

func newPolicyCompiler(hasParams bool) (*policyCompiler, error) {
	c, err := plugincel.NewCompositedCompiler(baseEnvironment())
	if err != nil {
		return nil, err
	}
	return &policyCompiler{c, plugincel.OptionalVariableDeclarations{HasParams: hasParams, HasAuthorizer: true}}, nil
}

func (c *policyCompiler) check(accessor plugincel.ExpressionAccessor, at *field.Path) field.ErrorList {
	return compile(c.CompositedCompiler, accessor, c.options, at)
}

func (c *policyCompiler) variable(v plugincel.NamedExpressionAccessor, at *field.Path) field.ErrorList {
	result := c.CompileAndStoreVariable(v, c.options, environment.NewExpressions)
	return celErrors(result.Error, v.GetExpression(), at)
}
