"""System prompts: rules that read one (lint), a canary to put into one, and designs by which its wordings are measured."""
