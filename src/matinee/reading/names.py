"""Names of columns by what they hold, as data sets, sites and people write them."""

_RATINGS = (
    "yourrating myrating yourated userrating myscore rating ratings value score stars star overall vote bewertung "
    "wertung valoracion puntuacion voto 평점 별점 評価 评分"
)
_TIMES = (
    "watcheddate datewatched watchedat lastwatchedat daterated ratedat userratedat timestamp time at date datetime "
    "ts createdat unixreviewtime unixtime eventtime reviewtime when lastplayed lastwatched ratedon "
    "watchedon createdon t datum zeit zeitstempel fecha 날짜 시간 "
    "日付 时间 日期"
)
_NAMES = {
    "user": "user userid uid useridx member memberid customer customerid visitor visitorid viewer account accountid "
    "reviewer reviewerid person personid profile profileid player playerid username usersha1 u benutzer nutzer usuario "
    "utilisateur utente 사용자 사용자id ユーザー 用户 用户id",
    "item": "item itemid iid itemidx movie movieid film filmid product productid parentasin asin show showid video "
    "videoid anime animeid game gameid appid book bookid isbn track trackid song songid artist artistid article "
    "articleid business businessid recipe recipeid joke jokeid beer beerid imdbid tmdbid const i pelicula 영화 영화id "
    "映画 电影 电影id title movietitle",
    "value": f"{_RATINGS} preference weight plays playcount playtimeforever listencount viewcount watchcount "
    "clickcount nplays hoursplayed hourswatched minutesplayed "
    "minuteswatched starsgiven count r",
    "at": _TIMES,
    "title": "title movietitle filmtitle itemtitle moviename filmname itemname primarytitle originaltitle titel titulo "
    "titre 제목",
    "genres": "genres genre",
    "kind": "eventtype eventname event action actiontype behavior behaviour behaviortype behaviourtype interaction "
    "interactiontype activity activitytype eventkind",
}
NAMES = {role: tuple(names.split()) for role, names in _NAMES.items()}
"""Known column names by role, in order of preference, in lower case without accents and punctuation. One's own rating
precedes the community's, and when a movie was watched precedes when that was written down."""
_PERSONAL = {
    "item": "movieid itemid id",
    "title": "title name movie film movietitle filmtitle titel titre titulo 제목 영화 영화제목 영화명",
    "original": "originaltitle 원제",
    "year": "year releaseyear releasedate 연도 개봉연도 제작연도",
    "imdb": "imdbid const tconst imdb",
    "tmdb": "tmdbid tmdb",
    "rating": f"{_RATINGS} rating10 내별점",
    "date": f"{_TIMES} 본날짜 관람일",
    "kind": "kind",
    "record": "record",
    "type": "titletype type mediatype contenttype",
    "status": "status watchlist liststatus",
    "seen": "watched seen",
    "user": "userid user username",
}
PERSONAL_NAMES = {field: tuple(names.split()) for field, names in _PERSONAL.items()}
"""The same for a table of the movies of one person, as sites of movies export them: `movie` is a title there."""
ENDINGS = {
    "value": "rating ratings score scores star stars hours plays playcount playtime listens liked like thumbs vote",
    "at": "timestamp time datetime date at ts",
}
"""Last words of a name, such as Book-Rating or date_rated: `created at` is a time, `format` is none."""
_WORDS = {
    "own": "my your user own personal me reviewer",
    "others": "avg average mean median num number n total critic critics critical community public global world imdb "
    "tmdb meta metacritic metascore rotten tomatoes rt audience bayesian weighted predicted expected max min mpaa age "
    "content helpful helpfulness similarity popularity runtime duration length",
    "not an event": "release released birth birthday born death publish published publication air aired premiere run "
    "running runtime screen join joined signup registration register expiry duration total length lap playing prep "
    "cook",
    "unrelated": "runtime lifetime overtime showtime downtime uptime update candidate mandate operating narrating "
    "underscore upgrade downgrade dislike disliked unlike",
}
OWN, OTHERS, NOT_AN_EVENT, UNRELATED = (frozenset(words.split()) for words in _WORDS.values())
"""Words in names of columns: of the user's own rating; of one that is not (a site's average, a critic's, a movie's age
rating); of a time that is the item's or the user's, not the event's; and words that only end like a role's."""
