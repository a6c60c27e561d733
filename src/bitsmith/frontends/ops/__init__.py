"""Operations that several frameworks have, as layers: each takes a builder, values and plain options."""
