"""Losses of reward models. To add one: write `<method>.py` beside these, then add its line here."""

from springback.train.reward.bradley_terry import BradleyTerry
from springback.train.reward.lambda_rank import LambdaRank
from springback.train.reward.list_mle import ListMLE
from springback.train.reward.list_net import ListNet
from springback.train.reward.margin import Margin
from springback.train.reward.plackett_luce import PlackettLuce
from springback.train.reward.rank_net import RankNet
from springback.train.reward.rankings import RankingLoss

LOSSES: dict[str, type[RankingLoss]] = {
    "bradley_terry": BradleyTerry,
    "margin": Margin,
    "plackett_luce": PlackettLuce,
    "rank_net": RankNet,
    "lambda_rank": LambdaRank,
    "list_mle": ListMLE,
    "list_net": ListNet,
}

__all__ = ["LOSSES", "RankingLoss"]
