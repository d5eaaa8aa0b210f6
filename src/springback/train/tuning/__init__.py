"""How a chain of tuning steps: plain, or held back by a defence. One file a method; `choose.py` names them."""
