"""Estimators of the label gradient ∂M/∂Y.

passes              `GradientEstimator`: StepInputs → MetaStep; the training and the meta pass that estimators share
forward_mode        exact: one Jacobian-vector product; `pushforward` computes it, with the rules of `tangent_rules`
double_backward     exact: autograd through the backward pass; the reference
finite_difference   approximate: two more forward passes
estimators          the registry, by the name that a caller gives
"""
