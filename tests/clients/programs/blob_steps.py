"""What the steps of all families of storage packages begin with."""

import base64
import datetime
import urllib.request

PAGE = 512
LEASE = "11111111-2222-3333-4444-555555555555"


def in_two_hours():
    return datetime.datetime.utcnow() + datetime.timedelta(hours=2)


def block_id(number):
    return base64.b64encode("{:08}".format(number).encode()).decode()


def read_url(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read()


class Names:
    """Names that no other run and no other step has."""

    def __init__(self, suffix):
        self.suffix = suffix
        self.n_names = 0

    def name(self, word="c"):
        self.n_names += 1
        return "{}-{}-{}".format(word, self.suffix, self.n_names)
