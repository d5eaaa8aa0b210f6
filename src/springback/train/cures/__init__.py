"""What is done against entanglement between a loss and its backward pass. One file a cure; `choose.py` names them.

Cures that are losses of their own (DPOP, Cal-DPO, DPO-Shift) stand in `train.preference`; filters act on the data.
"""
