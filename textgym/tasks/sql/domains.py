"""The domains that questions are about.

Invariant: every table has at least one column to filter by; keys are whole numbers, no foreign key is NULL.
"""

from __future__ import annotations

from textgym.tasks.sql.schema import Choice, Day, Domain, Label, Link, Measure, Table

__all__ = ["DOMAINS"]

_COUNTRIES = ("Brazil", "Côte d'Ivoire", "Estonia", "India", "Japan", "Kenya", "Norway", "Türkiye")
_CITIES = ("Córdoba", "Gdańsk", "Hobart", "Izmir", "Malmö", "Osaka", "Riga", "St. John's")

_LIBRARY = Domain(
    "library",
    (
        Table("authors", "author", 24, (
            Label("name", "person"),
            Choice("country", "from {}", _COUNTRIES),
            Measure("born", "year of birth", "born after {}", "born before {}", 1900, 1995),
        )),
        Table("books", "book", 70, (
            Label("title", "title"),
            Choice("genre", "of the genre {}", ("biography", "crime", "fantasy", "history", "poetry", "romance")),
            Measure("pages", "number of pages", "with more than {} pages", "with fewer than {} pages", 60, 900),
            Day("published", "published", 1995, 2024),
        ), (Link("author_id", "authors", "by an author"),)),
        Table("members", "member", 30, (
            Label("name", "person"),
            Choice("city", "from {}", _CITIES),
            Day("joined", "who joined", 2015, 2024),
        )),
        Table("loans", "loan", 180, (
            Day("lent", "begun", 2020, 2024),
            Day("returned", "ended", 2020, 2025, missing=0.2, blank="not ended yet", after="lent"),
            Measure("fee", "fee in cents", "with a fee above {} cents", "with a fee below {} cents", 0, 60, 5),
        ), (Link("book_id", "books", "of a book"), Link("member_id", "members", "by a member"))),
    ),
)  # fmt: skip

_SHOP = Domain(
    "shop",
    (
        Table("customers", "customer", 30, (
            Label("name", "person"),
            Choice("city", "from {}", _CITIES),
            Day("joined", "who joined", 2016, 2024),
        )),
        Table("products", "product", 40, (
            Label("name", "ware"),
            Choice("category", "of the category {}", ("garden", "kitchen", "office", "sport", "toys", "travel")),
            Measure("price", "price in euros", "costing more than {} euros", "costing less than {} euros",
                    8, 600, 0.25),
            Measure("stock", "stock", "with more than {} pieces in stock", "with fewer than {} pieces in stock",
                    0, 300),
        )),
        Table("purchases", "purchase", 90, (
            Choice("status", "with the status {}", ("cancelled", "delivered", "open", "shipped")),
            Day("bought", "made", 2021, 2024),
        ), (Link("customer_id", "customers", "by a customer"),)),
        Table("purchase_items", "purchase item", 200, (
            Measure("quantity", "quantity", "with a quantity above {}", "with a quantity below {}", 1, 20),
            Measure("discount", "discount in percent", "with a discount above {} percent",
                    "with a discount below {} percent", 1, 8, 5, missing=0.3),
        ), (Link("purchase_id", "purchases", "of a purchase"), Link("product_id", "products", "of a product"))),
    ),
)  # fmt: skip

_SCHOOL = Domain(
    "school",
    (
        Table("teachers", "teacher", 16, (
            Label("name", "person"),
            Choice("subject", "of the subject {}", ("art", "biology", "history", "mathematics", "music")),
            Day("hired", "hired", 1995, 2024),
        )),
        Table("courses", "course", 36, (
            Label("title", "title"),
            Choice("level", "of the level {}", ("advanced", "basic", "expert", "intermediate")),
            Measure("hours", "number of hours", "with more than {} hours", "with fewer than {} hours", 10, 120),
        ), (Link("teacher_id", "teachers", "given by a teacher"),)),
        Table("students", "student", 45, (
            Label("name", "person"),
            Choice("city", "from {}", _CITIES),
            Measure("born", "year of birth", "born after {}", "born before {}", 1990, 2008),
        )),
        Table("results", "result", 220, (
            Measure("points", "number of points", "with more than {} points", "with fewer than {} points", 0, 100,
                    missing=0.1),
            Day("taken", "obtained", 2021, 2024),
        ), (Link("student_id", "students", "of a student"), Link("course_id", "courses", "in a course"))),
    ),
)  # fmt: skip

_FLIGHTS = Domain(
    "flights",
    (
        Table("airports", "airport", 20, (
            Label("city", "place"),
            Choice("country", "in {}", _COUNTRIES),
            Measure("altitude", "altitude in metres", "more than {} metres above the sea",
                    "less than {} metres above the sea", 0, 2400),
        )),
        Table("airlines", "airline", 12, (
            Label("name", "firm"),
            Choice("country", "from {}", _COUNTRIES),
            Measure("founded", "year of foundation", "founded after {}", "founded before {}", 1925, 2020),
        )),
        Table("flights", "flight", 220, (
            Label("code", "code"),
            Day("day", "made", 2022, 2024),
            Choice("cabin", "of the class {}", ("cargo", "mixed", "tourist")),
            Measure("passengers", "number of passengers", "with more than {} passengers",
                    "with fewer than {} passengers", 20, 420),
            Measure("delay", "delay in minutes", "with a delay above {} minutes", "with a delay below {} minutes",
                    0, 180, missing=0.15),
        ), (
            Link("airline_id", "airlines", "of an airline"),
            Link("origin_id", "airports", "from an airport"),
            Link("destination_id", "airports", "to an airport"),
        )),
    ),
)  # fmt: skip

_MUSIC = Domain(
    "music",
    (
        Table("artists", "artist", 22, (
            Label("name", "band"),
            Choice("country", "from {}", _COUNTRIES),
            Measure("founded", "year of foundation", "founded after {}", "founded before {}", 1960, 2020),
        )),
        Table("albums", "album", 55, (
            Label("title", "title"),
            Choice("genre", "of the genre {}", ("blues", "fado", "folk", "jazz", "rock", "techno")),
            Day("released", "released", 1985, 2024),
            Measure("rating", "rating", "with a rating above {}", "with a rating below {}", 2, 20, 0.5,
                    missing=0.15),
        ), (Link("artist_id", "artists", "by an artist"),)),
        Table("tracks", "track", 240, (
            Label("title", "title"),
            Measure("seconds", "length in seconds", "longer than {} seconds", "shorter than {} seconds", 60, 700),
            Measure("plays", "number of plays", "with more than {} plays", "with fewer than {} plays", 0, 90_000),
        ), (Link("album_id", "albums", "of an album"),)),
    ),
)  # fmt: skip

_ZOO = Domain(
    "zoo",
    (
        Table("species", "species", 18, (
            Label("name", "ware"),
            Choice("continent", "at home in {}", ("Africa", "Asia", "Europe", "Oceania", "South America")),
            Measure("lifespan", "life span in years", "with a life span above {} years",
                    "with a life span below {} years", 2, 80),
        )),
        Table("keepers", "keeper", 14, (
            Label("name", "person"),
            Choice("shift", "of the {} shift", ("early", "late", "night")),
            Day("hired", "hired", 2000, 2024),
        )),
        Table("animals", "animal", 90, (
            Label("name", "pet"),
            Choice("sex", "of the sex {}", ("female", "male")),
            Measure("weight", "weight in kg", "heavier than {} kg", "lighter than {} kg", 1, 1200, 0.5),
            Day("arrived", "that arrived", 2008, 2024),
        ), (
            Link("species_id", "species", "of a species"),
            Link("keeper_id", "keepers", "in the care of a keeper"),
        )),
        Table("feedings", "feeding", 200, (
            Choice("food", "with {}", ("fish", "fruit", "grain", "hay", "insects", "meat")),
            Measure("grams", "amount in grams", "of more than {} grams", "of less than {} grams", 2, 160, 50),
            Day("fed", "made", 2023, 2024),
        ), (Link("animal_id", "animals", "of an animal"),)),
    ),
)  # fmt: skip

DOMAINS: dict[str, Domain] = {
    domain.name: domain for domain in (_LIBRARY, _SHOP, _SCHOOL, _FLIGHTS, _MUSIC, _ZOO)
}
"""Name -> domain."""
