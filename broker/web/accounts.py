"""Signing in, registering, one's own account, and the list of managers."""

from starlette.responses import Response

from broker.web.routing import Pages
from broker.web.visit import Visit

pages = Pages()


@pages.add("/sign-in", public=True)
async def sign_in(visit: Visit) -> Response:
    if visit.manager:
        return visit.go("")
    _, accounts = await visit.store.layout()
    if not accounts:
        return visit.go("register")
    open_to_all = visit.settings.allow_registration
    return visit.page("sign_in.html", next=visit.text("next"), open_to_all=open_to_all)


@pages.add("/register", public=True)
async def register(visit: Visit) -> Response:
    if visit.manager:
        return visit.go("")
    _, accounts = await visit.store.layout()
    return visit.page("register.html", first=not accounts, allowed=visit.settings.allow_registration or not accounts)


@pages.add("/account")
async def account(visit: Visit) -> Response:
    sessions = await visit.store.managers.sessions(visit.me.id, visit.cookie or "")
    tokens = await visit.store.manager_tokens.of_manager(visit.me.id)
    return visit.page("account.html", sessions=sessions, tokens=tokens)


@pages.add("/managers")
async def managers(visit: Visit) -> Response:
    return visit.page("managers.html", managers=await visit.store.managers.every())
