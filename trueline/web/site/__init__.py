"""What every page of `trueline web` stands on: rooms of pages and actions, who may come in, and one dress."""
