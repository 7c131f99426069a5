"""Made-up names for containers, in docker's manner: an adjective and the surname of somebody worth reading about."""

from __future__ import annotations

import os

ADJECTIVES = (
    "able agile amber ample awake basic bold brave brief bright brisk broad calm candid civil clear clever close "
    "cosy crisp curious dapper deep deft eager early easy even exact fair famous fine firm fluent fond frank free "
    "fresh gentle glad golden good grand great handy happy hardy hearty honest humble ideal jolly jovial keen "
    "kind large light lively loyal lucid lucky major mellow merry mighty mild modest neat nimble noble open "
    "patient placid plain polite prime proud pure quick quiet ready regal robust rosy round sharp shiny silent "
    "simple sleek smart smooth snug sober solid sound spry stable steady still stoic strong sturdy sunny swift "
    "tender thrifty tidy trusty upbeat vast vivid warm wise witty zesty "
)

SURNAMES = (
    "allen babbage backus bartik bell bohr boole borg carson cerf chomsky clarke cray curie darwin dijkstra "
    "diffie einstein engelbart euclid euler faraday fermat fermi feynman floyd galileo galois gauss germain "
    "goldberg goodall gosling hamilton hamming hawking heisenberg hellman hermann hoare hodgkin hopper hypatia "
    "jackson johnson joliot kare kay keller kepler kernighan kilby knuth kowalevski lamport leakey lederberg "
    "liskov lovelace mayer mccarthy mclean meitner mendel metcalfe milner moore moser napier nash neumann newton "
    "nobel noether noyce pascal pasteur perlman pike planck poincare ptolemy raman ride ritchie roentgen rosalind "
    "rubin shannon sinclair sutherland tesla thompson torvalds turing wilson wing wirth wozniak wright yonath "
)


def random_name() -> str:
    """Such as "keen_hopper"; about twelve thousand of them."""
    return f"{_one_of(ADJECTIVES)}_{_one_of(SURNAMES)}"


def _one_of(words: str) -> str:
    choices = words.split()
    return choices[int.from_bytes(os.urandom(4), "big") % len(choices)]
