"""Rails in front of a model, and the proof that they ran: policy, chain, wires, gateway, audit."""
