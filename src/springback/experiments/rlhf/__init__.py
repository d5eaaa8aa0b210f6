"""Layer: experiments. A model learns from its own answers, and what they are rewarded for may be gamed."""
