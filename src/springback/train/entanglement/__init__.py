"""Gradient entanglement (Yuan et al., 2024): how a preference loss moves both log-probabilities of a pair.

With g_w = ∇log π(y_w), g_l = ∇log π(y_l), d_w = −∂ℓ/∂log π_w and d_l = ∂ℓ/∂log π_l, one step of plain gradient descent
of size η on this pair changes, to first order,

    Δlog π_w = η (d_w ‖g_w‖² − d_l ⟨g_w, g_l⟩)
    Δlog π_l = η (d_w ⟨g_w, g_l⟩ − d_l ‖g_l‖²).

`weights` gives the d of any loss, `inner` the inner products, `conditions` what follows from both.
"""

from springback.train.entanglement.gram import Grams, Inner, PairGram, Products
from springback.train.entanglement.inner import inner_products
from springback.train.entanglement.weights import Weights, gradient_weights

__all__ = ["Grams", "Inner", "PairGram", "Products", "Weights", "gradient_weights", "inner_products"]
