"""Networks in torch, one page each; they import nothing else of wdsr."""
