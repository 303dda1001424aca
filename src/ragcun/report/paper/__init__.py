"""A paper's folder from results: tables, figures, references and an article that compiles."""
