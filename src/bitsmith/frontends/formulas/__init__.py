"""The reader of formulas: expressions of sympy, and texts as PySR, SymbolicRegression.jl and people write them."""
