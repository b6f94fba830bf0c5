"""From a text to its style: the stages of ``imitate.sh``; ``from fairseq_plugin import TextGenerator``."""
