"""Example data drawn by code: cartoon people who make known expressions."""
