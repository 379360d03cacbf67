"""What the HTTP doors of both mechanisms have in common: how a question is refused, and how an answer is told.

``asking`` reads a body and the names in a URL; ``answers`` makes a status and JSON of an answer, or of what stood in
its way. What is asked and answered is for each mechanism to say.
"""
