"""The paper Predict.fun: its REST, WebSocket, signatures, fees and oddities over the paper exchange."""
