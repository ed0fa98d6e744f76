"""What users name as input, one module a format: lists that are read anew and never held whole."""
