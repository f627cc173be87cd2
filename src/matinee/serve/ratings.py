"""Which ratings count as liking a movie, on a scale from half a star to five."""

from matinee.ranking.recommendation import LIKED_STARS

LIKED = LIKED_STARS
"""A reason says "you liked" from this rating on; a shelf starts from a movie rated higher."""
FAVOURITE = 4.0
"""From this rating on, a person counts among the people who liked a movie."""
